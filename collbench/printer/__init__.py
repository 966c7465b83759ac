"""Tables in their forms: plain text, Markdown, LaTeX; and beside them JSON."""
