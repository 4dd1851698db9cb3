"""What users set up: trunks, sounds, callbases with their subscribers, stop lists, the numbering plan."""
