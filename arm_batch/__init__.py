"""arm_batch: upscale image archives on Ray within an exact compute budget."""
