"""What looks at a picture: judges of its content, CLIPScore, image quality. One file each."""
