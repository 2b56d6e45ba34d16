"""What observations are judged with: images, binaries, reference models, reports."""
