"""How the toy model was made: scripts for people, never imported by the pack."""
