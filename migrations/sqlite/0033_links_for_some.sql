-- A link in a part for some readers is a share of those whose copies have it. How many that are is counted with the
-- other parts of a block, so that the blocks of runs with such parts are counted again.

update block_parts set sent = -1
where run_id in (select id from runs where parts is not null);
