"""Messages out: batches, consent and quiet hours, deliveries; the gate."""
