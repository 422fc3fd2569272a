"""What requests to other people's servers need: where a connection lets them go, refused addresses, signatures."""
