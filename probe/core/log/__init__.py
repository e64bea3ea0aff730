"""What the log of a mail server tells about sender verification: lines, what they prove, and who fails."""
