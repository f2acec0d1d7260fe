"""What is wrong with facts and events: found, told in words, and what learning does about it."""
