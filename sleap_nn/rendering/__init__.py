"""What `sleap_nn.render` draws: labels sorted by frame, and the choice of frames for a gallery."""
