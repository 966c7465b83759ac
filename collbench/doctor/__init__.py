"""What would keep a sweep from running here, or its numbers from being worth anything, and the cure."""
