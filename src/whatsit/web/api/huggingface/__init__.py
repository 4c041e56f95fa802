"""The image-classification task of Hugging Face, as its clients speak it."""
