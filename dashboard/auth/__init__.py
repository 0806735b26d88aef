"""Who gets in, and what they may do: people, sessions, tokens, and the guard before it all."""
