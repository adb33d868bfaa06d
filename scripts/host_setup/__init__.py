"""Finding, building and driving a real ComfyUI."""
