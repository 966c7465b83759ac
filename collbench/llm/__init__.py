"""What a pass of an LLM sends between GPUs: models, the rules of engines, collectives and volumes."""
