"""What `arm_batch` hands out; import it from there."""
