"""What people do to one OUTPUT, in any order, and an oracle that looks at what lies there after every step."""
