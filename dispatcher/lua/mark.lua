-- mark: a small write, so that whoever waits for its copies or for the disk waits for something of its own.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
-- RETURNS  'ok'
--
-- Repeatable: it writes the same again. Sent after publish on the same connection, for WAIT and WAITAOF count only what
-- their own connection wrote, and a publish that is sent again writes nothing.
-- include: clock
call('SET', root .. ':mark', now_text, 'PX', 60000)
return 'ok'
