"""The specification: names are sentences, parts are real, every world has two organisations."""
