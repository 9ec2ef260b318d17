-- What an account has of one status, but for its successes, of which there are many: what is under way and what failed.
-- A list of what is under way read everybody's before.
CREATE INDEX generations_by_status ON generations (account_id, status, id) WHERE status <> 'succeeded';
DROP INDEX generations_by_failure;
