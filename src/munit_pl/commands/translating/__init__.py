"""What `munit-translate` is made of: inputs, styles, outputs and the account of them."""
