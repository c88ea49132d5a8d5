-- What idempotency keys keep of an answer is the id of its record, or numbers alone; the step purges the rest.
comment on column idempotency.body is '{"id": …} of the record that was answered, or an answer of numbers alone';
