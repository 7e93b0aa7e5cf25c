//! What a command is going to do, image by image, and because of which changed input.
