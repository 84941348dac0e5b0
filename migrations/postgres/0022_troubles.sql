-- What a sender tells of its relays stands with the sender: it is over when the sender is, and of several machines
-- none speaks for another.

alter table senders add column trouble text;

delete from meta where key = 'trouble';
