"""The API by subject: for each the fields that clients send, the operations, and the JSON that goes out."""
