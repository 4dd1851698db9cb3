"""Events told outside: signed deliveries to programs, sentences to people."""
