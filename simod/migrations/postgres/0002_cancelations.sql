-- Cancelations that were cut short are looked for again and again.
create index event_canceled on event (message_id) where kind = 'canceled';
