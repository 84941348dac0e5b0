-- Shares of clicks and opens are shares of the copies that count them. How many that are is counted with the other parts of
-- a block, so that every block is counted again, each run when it is asked for.

update block_parts set sent = -1;
