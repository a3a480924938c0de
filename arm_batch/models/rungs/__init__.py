"""What a ladder's nets come from: subnets of our supernets, and models that users bring."""
