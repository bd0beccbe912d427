-- What one message says of one job, in one statement and so in one transaction. It returns a row if the job is known.
-- $1 device, $2 job, $3 epoch, $4 seq, $5 the job's end (null: it only goes on), $6 its items as JSON, $7 now_ms.
-- Everything follows from `held`: statements about one job wait for each other, those about others do not.
WITH held AS MATERIALIZED (
  SELECT job FROM job WHERE job = $2::text AND device = $1::text AND epoch = $3::text AND seq = $4::int
  FOR NO KEY UPDATE
), said AS (
  SELECT item, state, CASE state WHEN 'dispensing' THEN 1 ELSE 3 END AS rank, dispensed_mg, duration_ms, error
  FROM json_to_recordset($6::json)
    AS one (item int, state text, dispensed_mg int, duration_ms int, error text)
), raised AS (
  UPDATE job_item
  SET state = said.state, rank = said.rank, says = 'device', dispensed_mg = said.dispensed_mg,
    duration_ms = said.duration_ms, error = said.error
  FROM held, said
  WHERE job_item.job = held.job AND job_item.item = said.item AND job_item.rank < said.rank
  RETURNING job_item.job, job_item.item, job_item.flask, job_item.target_mg, job_item.state, job_item.dispensed_mg
), moved AS (
  INSERT INTO stock_movement (device, flask, kind, delta_mg, job, item, at_ms, note)
  SELECT $1, flask, CASE state WHEN 'done' THEN 'dispense' ELSE 'partial' END, -dispensed_mg, job, item, $7::bigint, ''
  FROM raised
  WHERE state = 'done' OR (state = 'failed' AND dispensed_mg > 0)
  ON CONFLICT (job, item) WHERE job IS NOT NULL DO NOTHING
  RETURNING item, delta_mg
), ended AS (
  SELECT flask, sum(target_mg) AS freed_mg, coalesce(sum(delta_mg), 0) AS delta_mg, count(*) AS items
  FROM raised LEFT JOIN moved USING (item)
  WHERE state <> 'dispensing'
  GROUP BY flask
), locked AS MATERIALIZED (
  -- In one order, so that two jobs of a dispenser never wait for each other in a circle.
  SELECT flask FROM flask WHERE device = $1 AND flask IN (SELECT flask FROM ended)
  ORDER BY flask
  FOR NO KEY UPDATE
), stocked AS (
  UPDATE flask
  SET stock_mg = stock_mg + ended.delta_mg, reserved_mg = reserved_mg - ended.freed_mg,
    revision = revision + ended.items
  FROM locked JOIN ended USING (flask)
  WHERE flask.device = $1 AND flask.flask = locked.flask
), concluded AS (
  UPDATE job
  SET state = coalesce($5::text, 'running'), rank = CASE WHEN $5::text IS NULL THEN 2 ELSE 4 END, says = 'device',
    accepted_at_ms = coalesce(accepted_at_ms, $7), ended_at_ms = CASE WHEN $5::text IS NULL THEN NULL ELSE $7 END
  FROM held
  WHERE job.job = held.job AND job.rank < CASE WHEN $5::text IS NULL THEN 2 ELSE 4 END
)
SELECT job FROM held
