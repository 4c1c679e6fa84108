-- dataset.sql : realistic 'opstower' transport/booking database for backup benchmarks.
-- Usage: createdb opstower; psql -v scale=1.0 -d opstower -f dataset.sql
--   measured: scale=0.75 -> pg_database_size 2.14e9 B, plain dump 1.427e9 B, about 76 s to build.  scale=0.01 -> 46 MB, 2 s.
-- Same distribution each time (setseed), but NOT byte-identical between builds: uses now() and server-assigned LO oids.
-- Creates role opstower_ro in the cluster if absent.
\set ON_ERROR_STOP 1
\if :{?scale}
\else
\set scale 1.0
\endif
\set QUIET 1
\timing off
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
SET work_mem = '128MB';
SET TimeZone = 'Asia/Manila';
SELECT setseed(0.42) \g /dev/null
SELECT greatest(100, (300000*:scale)::bigint)  AS n_users,
       greatest(50,  (60000*:scale)::bigint)   AS n_drivers,
       greatest(50,  (50000*:scale)::bigint)   AS n_vehicles,
       greatest(500, (2000000*:scale)::bigint) AS n_bookings,
       greatest(500, (5000000*:scale)::bigint) AS n_gps,
       greatest(200, (800000*:scale)::bigint)  AS n_audit,
       greatest(200, (900000*:scale)::bigint)  AS n_events,
       greatest(100, (100000*:scale)::bigint)  AS n_cache,
       greatest(4,   (60*:scale)::int)         AS n_lo
\gset

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE SCHEMA ops;
CREATE SCHEMA "Reporting Area";           -- needs quoting
CREATE TYPE booking_status AS ENUM ('requested','accepted','arrived','in_progress','completed','cancelled','no_show');
CREATE TYPE payment_method AS ENUM ('cash','gcash','maya','card','wallet');
CREATE TYPE ops.geo AS (lat numeric(9,6), lng numeric(9,6));
CREATE DOMAIN ph_phone AS text CHECK (VALUE ~ '^\+63[0-9]{10}$');
CREATE SEQUENCE invoice_no_seq START 100000 INCREMENT 1 CACHE 20;
CREATE SEQUENCE ops.ticket_seq AS integer START 500 MAXVALUE 2000000 CYCLE;

-- word helpers -------------------------------------------------------------
CREATE FUNCTION ops.pick(a text[]) RETURNS text LANGUAGE sql VOLATILE
AS $$ SELECT a[1+floor(random()*array_length(a,1))::int] $$;

CREATE TABLE ops.words (i int primary key, w text not null);
INSERT INTO ops.words SELECT ordinality-1, w FROM unnest(string_to_array(
'driver passenger late early traffic rain gate lobby basement please call text message waiting near the entrance beside convenience store '
'bring change large bag luggage fragile child seat wheelchair airport terminal departure arrival north south east west road street avenue '
'corner building tower mall market church school hospital bridge station plaza village phase block unit floor subdivision refund complaint '
'route blocked detour toll expressway heavy light accident stalled flooded police checkpoint cash only exact card failed retry wallet promo '
'voucher discount senior student pwd family corporate account approved pending review rating excellent good average poor rude polite clean '
'dirty smelled aircon warm cold music loud quiet safe fast slow careful careless wrong pin location map app crashed again reported support '
'ticket closed reopened duplicate customer requested cancel after five ten minutes no show fee waived charged twice adjusted manually by '
'supervisor dispatch manual override vehicle plate mismatch photo verified license expired renewed franchise number inspection passed '
'salamat po kuya ate sandali lang dito kanto kaliwa kanan diretso tapat harap likod bahay pula asul puti gate ng may aso', ' ')) WITH ORDINALITY AS t(w, ordinality);
SELECT count(*) AS nwords FROM ops.words \gset

-- the text pools: small sets of realistic sentences / addresses, combined at random
CREATE TEMP TABLE pool_name AS
 SELECT row_number() OVER () - 1 AS i, f||' '||l AS name, lower(f)||'.'||lower(replace(l,' ','')) AS handle
 FROM unnest(ARRAY['Maria','Jose','Juan','Ana','Mark','Angel','Christian','Jasmine','Paolo','Kristine','Miguel','Andrea','Rafael','Bea','Carlo','Denise','Emmanuel','Faith','Gabriel','Hazel','Ivan','Joy','Kenneth','Liza','Nathan','Olivia','Patrick','Queenie','Ramon','Sofia']) f,
      unnest(ARRAY['Santos','Reyes','Cruz','Bautista','Ocampo','Garcia','Mendoza','Torres','Tomas','Andrada','Castillo','Flores','Villanueva','Ramos','Castro','Rivera','Aquino','Navarro','Salazar','Mercado','Dela Cruz','De Guzman','San Juan','Del Rosario','Peña','Muñoz','O''Hara','Lim','Tan','Sy']) l;
CREATE TEMP TABLE pool_street AS
 SELECT row_number() OVER () - 1 AS i, s||' '||k||', '||b||', '||c AS street
 FROM unnest(ARRAY['Rizal','Bonifacio','Mabini','Quezon','Aurora','Roxas','Ayala','Osmeña','Luna','Magsaysay','Katipunan','Kalayaan','Shaw','Ortigas','Taft','España','Pioneer','Sheridan','Gil Puyat','Chino Roces']) s,
      unnest(ARRAY['St','Ave','Blvd','Ext','Road']) k,
      unnest(ARRAY['Brgy San Antonio','Brgy Poblacion','Brgy Bel-Air','Brgy Kapitolyo','Brgy Malate','Brgy Holy Spirit','Brgy Sta Cruz','Brgy Pinagkaisahan']) b,
      unnest(ARRAY['Makati City','Quezon City','Manila','Pasig City','Taguig City','Mandaluyong City','Parañaque City','Pasay City']) c;
SELECT count(*) AS nname FROM pool_name \gset
SELECT count(*) AS nstreet FROM pool_street \gset
CREATE TEMP TABLE pool_note AS
 SELECT g-1 AS i, (SELECT string_agg(w,' ' ORDER BY r) FROM (SELECT w, random() r FROM ops.words, generate_series(1,1) WHERE g=g ORDER BY random() LIMIT 3+(g%13)) z) AS note
 FROM generate_series(1,4000) g;
CREATE UNIQUE INDEX ON pool_name(i); CREATE UNIQUE INDEX ON pool_street(i); CREATE UNIQUE INDEX ON pool_note(i);
ANALYZE pool_name; ANALYZE pool_street; ANALYZE pool_note;

-- users --------------------------------------------------------------------
CREATE TABLE users (
  id bigserial, email text NOT NULL, phone ph_phone, full_name varchar(80) NOT NULL, password_hash char(60) NOT NULL,
  is_active boolean NOT NULL DEFAULT true, tier smallint NOT NULL DEFAULT 0, preferences jsonb NOT NULL DEFAULT '{}',
  referral_code text, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz, last_login_ip inet);
INSERT INTO users(email,phone,full_name,password_hash,is_active,tier,preferences,referral_code,created_at,updated_at,last_login_ip)
SELECT p.handle||g||'@'||(ARRAY['gmail.com','yahoo.com','outlook.ph','opstower.com'])[1+g%4],
       '+639'||lpad(floor(random()*1e9)::bigint::text,9,'0'), p.name,
       '$2b$12$'||substr(md5(random()::text)||md5(random()::text),1,53), random()<0.97, floor(random()*4)::int,
       jsonb_build_object('lang',(ARRAY['en','fil','ceb'])[1+g%3],'push',random()<0.8,'theme',(ARRAY['dark','light','system'])[1+floor(random()*3)::int],
         'favorites',jsonb_build_array('home','work',(ARRAY['gym','school','mall'])[1+g%3]),'marketing',jsonb_build_object('sms',random()<0.5,'email',random()<0.3)),
       upper(substr(md5(g::text),1,8)), timestamptz '2023-01-01 00:00+08' + g*interval '190 seconds', now()-random()*interval '200 days',
       CASE WHEN g%7=0 THEN NULL ELSE ('112.'||(g%256)||'.'||floor(random()*256)::int||'.'||floor(random()*256)::int)::inet END
FROM (SELECT g, floor(random()*:nname)::int AS k FROM generate_series(1,:n_users) g) s JOIN pool_name p ON p.i=s.k ORDER BY g;

CREATE TABLE drivers (
  id bigserial, user_id bigint NOT NULL, license_no text NOT NULL, license_expiry date, rating numeric(3,2), home ops.geo,
  bio text, documents jsonb, photo_oid oid, hired_on date NOT NULL DEFAULT CURRENT_DATE);
INSERT INTO drivers(user_id,license_no,license_expiry,rating,home,bio,documents,hired_on)
SELECT 1+floor(random()*:n_users)::bigint, 'N'||lpad((g%100)::text,2,'0')||'-'||lpad((g%97)::text,2,'0')||'-'||lpad(g::text,6,'0'),
  date '2026-01-01'+(g%1500)::int, round((3+2*random())::numeric,2), ROW(round((14.4+random()*0.4)::numeric,6),round((120.9+random()*0.3)::numeric,6))::ops.geo,
  n.note||E'.\nSecond line with a tab\there and a backslash \\ char.', jsonb_build_object('nbi',g%2=0,'medical',jsonb_build_object('ok',true,'date',date '2025-01-01'+(g%300)::int),'franchise','F-'||g),
  date '2020-01-01'+(g%2000)::int
FROM (SELECT g, floor(random()*4000)::int AS k FROM generate_series(1,:n_drivers) g) s JOIN pool_note n ON n.i=s.k ORDER BY g;

CREATE TABLE vehicles (
  id bigserial, driver_id bigint, plate text NOT NULL, make text, model text, year smallint, color text, features text[], spec jsonb, odometer_km numeric(10,1));
INSERT INTO vehicles(driver_id,plate,make,model,year,color,features,spec,odometer_km)
SELECT 1+(g%:n_drivers), chr(65+(g%26)::int)||chr(65+(g/26%26)::int)||chr(65+(g/676%26)::int)||' '||lpad((g%10000)::text,4,'0')||'-'||g,
  (ARRAY['Toyota','Mitsubishi','Nissan','Honda','Suzuki'])[1+g%5],(ARRAY['Vios','Innova','Mirage','Almera','City','Ertiga','Hiace'])[1+g%7], 2012+g%14,
  (ARRAY['white','silver','black','red','blue','gray'])[1+floor(random()*6)::int], ARRAY['aircon',CASE WHEN random()<0.3 THEN 'wheelchair' ELSE 'usb, charger' END],
  jsonb_build_object('seats',4+g%3,'fuel',(ARRAY['gas','diesel','ev'])[1+g%3],'or_cr',md5(g::text)), round((random()*200000)::numeric,1)
FROM generate_series(1,:n_vehicles) g;

-- bookings (largest) -------------------------------------------------------
CREATE TABLE bookings (
  id bigint GENERATED BY DEFAULT AS IDENTITY, ref_code text NOT NULL, user_id bigint NOT NULL, driver_id bigint, vehicle_id bigint,
  status booking_status NOT NULL, pickup_address text NOT NULL, dropoff_address text NOT NULL,
  pickup_lat numeric(9,6), pickup_lng numeric(9,6), dropoff_lat numeric(9,6), dropoff_lng numeric(9,6),
  requested_at timestamptz NOT NULL, accepted_at timestamptz, completed_at timestamptz,
  fare numeric(10,2), surge numeric(4,2) DEFAULT 1.0, distance_km double precision, duration_s integer, notes text, meta jsonb);
INSERT INTO bookings(ref_code,user_id,driver_id,vehicle_id,status,pickup_address,dropoff_address,pickup_lat,pickup_lng,dropoff_lat,dropoff_lng,
  requested_at,accepted_at,completed_at,fare,surge,distance_km,duration_s,notes,meta)
SELECT 'BK'||to_char(ts,'YYMMDD')||'-'||upper(substr(md5(g::text),1,7)), 1+floor(power(random(),2)*:n_users)::bigint, d, 1+d%:n_vehicles,
  st::booking_status, (1+floor(random()*999)::int)||' '||s1.street, (1+floor(random()*999)::int)||' '||s2.street,
  round((14.40+random()*0.4)::numeric,6), round((120.9+random()*0.3)::numeric,6), round((14.40+random()*0.4)::numeric,6), round((120.9+random()*0.3)::numeric,6),
  ts, CASE WHEN st<>'requested' THEN ts+random()*interval '6 minutes' END, CASE WHEN st='completed' THEN ts+interval '8 minutes'+random()*interval '70 minutes' END,
  round((60+random()*900)::numeric,2), (ARRAY[1.0,1.0,1.0,1.2,1.5,2.0])[1+g%6], round((1+random()*30)::numeric,3)::float8, 300+floor(random()*4500)::int,
  CASE WHEN g%3=0 THEN NULL ELSE n.note END,
  jsonb_build_object('channel',(ARRAY['app','web','call','partner'])[1+g%4],'app_version','4.'||(g%12)||'.'||(g%7),'pax',1+g%4,
     'promo',CASE WHEN g%5=0 THEN 'RIDE'||(g%50) END,'device',(ARRAY['Samsung A14','iPhone 13','Redmi Note 12','Vivo Y21'])[1+floor(random()*4)::int])
FROM (SELECT g, timestamptz '2024-01-01 00:00+08' + (g*(63000000.0/:n_bookings))*interval '1 second' + random()*interval '40 seconds' AS ts, 1+floor(random()*:n_drivers)::bigint AS d,
        (ARRAY['completed','completed','completed','completed','completed','completed','cancelled','no_show','completed','in_progress','accepted','requested'])[CASE WHEN g > :n_bookings*0.999 THEN 1+floor(random()*12)::int ELSE 1+floor(random()*9)::int END] AS st,
        floor(random()*:nstreet)::int k1, floor(random()*:nstreet)::int k2, floor(random()*4000)::int k3
      FROM generate_series(1,:n_bookings) g) x
JOIN pool_street s1 ON s1.i=k1 JOIN pool_street s2 ON s2.i=k2 JOIN pool_note n ON n.i=k3 ORDER BY g;

-- payments (generated column) ----------------------------------------------
CREATE TABLE payments (
  id bigserial, booking_id bigint NOT NULL, method payment_method NOT NULL, amount numeric(12,2) NOT NULL, fee numeric(12,2) NOT NULL DEFAULT 0,
  net numeric(12,2) GENERATED ALWAYS AS (amount - fee) STORED, currency char(3) NOT NULL DEFAULT 'PHP', external_ref uuid, paid_at timestamptz, settled boolean);
INSERT INTO payments(booking_id,method,amount,fee,external_ref,paid_at,settled)
SELECT id, (ARRAY['cash','gcash','maya','card','wallet'])[1+floor(power(random(),1.5)*5)::int]::payment_method, fare, round(fare*0.029,2),
  CASE WHEN id%3=0 THEN NULL ELSE md5(id::text||'x')::uuid END, completed_at+interval '4 seconds', random()<0.95
FROM bookings WHERE status='completed' ORDER BY id;

-- gps_points (narrow, many) -------------------------------------------------
CREATE TABLE gps_points (
  booking_id bigint NOT NULL, seq integer NOT NULL, ts timestamptz NOT NULL, lat double precision NOT NULL, lng double precision NOT NULL, speed real, heading smallint);
INSERT INTO gps_points
SELECT 1+(g/50)*greatest(1,:n_bookings/(1+:n_gps/50)), (g%50)::int, timestamptz '2024-01-01 00:00+08'+(g/50)*interval '10 minutes'+(g%50)*interval '5 seconds'+floor(random()*900)*interval '1 millisecond',
  round((14.4+((g/50)::bigint*7919%4000)/10000.0+(g%50)*0.00031+random()*0.0001)::numeric,6)::float8, round((120.9+((g/50)::bigint*104729%3000)/10000.0+(g%50)*0.00027+random()*0.0001)::numeric,6)::float8,
  round((random()*60)::numeric,1)::real, floor(random()*360)::int
FROM generate_series(0,:n_gps-1) g;

-- audit_log ------------------------------------------------------------------
CREATE TABLE audit_log (
  id bigserial, at timestamptz NOT NULL, actor text NOT NULL, action text NOT NULL, entity text NOT NULL, entity_id bigint, ip inet, user_agent text, diff jsonb, detail text);
INSERT INTO audit_log(at,actor,action,entity,entity_id,ip,user_agent,diff,detail)
SELECT timestamptz '2024-01-01 00:00+08'+g*interval '77 seconds', p.handle||'@opstower.com', (ARRAY['create','update','update','update','delete','login','export'])[1+g%7],
  (ARRAY['booking','payment','user','driver','vehicle'])[1+g%5], floor(random()*2e6)::bigint, ('10.'||(g%4)||'.'||floor(random()*256)::int||'.'||floor(random()*256)::int)::inet,
  (ARRAY['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36','Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15','OpsTower/4.8.2 (Android 13; SM-A145F)','curl/8.4.0'])[1+floor(random()*4)::int],
  jsonb_build_object('before',jsonb_build_object('status','accepted','fare',round((random()*500)::numeric,2)),'after',jsonb_build_object('status','completed','fare',round((random()*500)::numeric,2),'hash',md5(random()::text))),
  n.note
FROM (SELECT g, floor(random()*:nname)::int k1, floor(random()*4000)::int k2 FROM generate_series(1,:n_audit) g) s JOIN pool_name p ON p.i=k1 JOIN pool_note n ON n.i=k2 ORDER BY g;

-- trip_events: partitioned by month ------------------------------------------
CREATE TABLE trip_events (id bigint NOT NULL, booking_id bigint NOT NULL, kind text NOT NULL, at timestamp NOT NULL, payload jsonb) PARTITION BY RANGE (at);
DO $$ BEGIN FOR m IN 0..11 LOOP
  EXECUTE format('CREATE TABLE trip_events_2025_%s PARTITION OF trip_events FOR VALUES FROM (%L) TO (%L)', lpad((m+1)::text,2,'0'), date '2025-01-01'+make_interval(months=>m), date '2025-01-01'+make_interval(months=>m+1));
END LOOP; END $$;
CREATE TABLE trip_events_default PARTITION OF trip_events DEFAULT;
INSERT INTO trip_events SELECT g, 1+(g%:n_bookings), (ARRAY['assigned','arrived','started','stop','ended','rated'])[1+g%6], timestamp '2025-01-01'+(g*(31000000.0/:n_events))*interval '1 second',
   jsonb_build_object('seq',g%6,'battery',floor(random()*100),'note',n.note) FROM (SELECT g, floor(random()*4000)::int k FROM generate_series(1,:n_events) g) s JOIN pool_note n ON n.i=k ORDER BY g;

-- unlogged, odd-type and corner-case tables ------------------------------------
CREATE UNLOGGED TABLE session_cache (token text, user_id bigint, expires timestamptz, blob bytea);
INSERT INTO session_cache SELECT md5(g::text), g, now()+g*interval '1 second', decode(md5(random()::text)||md5(random()::text),'hex') FROM generate_series(1,:n_cache) g;
CREATE TABLE "Weird ""Name" ("select" int, "Tab	Col" text, "ünïcode" numeric, arr int[], r int4range, ts tsvector, b bit varying(12), iv interval, x xml, pt point, mon money);
INSERT INTO "Weird ""Name" SELECT g, E'a\tb\nc\\d\r'||g, CASE g%5 WHEN 0 THEN 'NaN' ELSE g/7.0 END, ARRAY[g,NULL,g*2], int4range(g,g+5), to_tsvector('english','the quick fox '||g), B'1011', g*interval '1 day 3 seconds', '<a b="1">x</a>', point(g,1e-300*g), g::money FROM generate_series(1,1000) g;
CREATE TABLE empty_table (id int primary key, v text);
CREATE TABLE no_columns ();
CREATE TABLE attachments (id bigserial primary key, name text, body bytea, big text);
INSERT INTO attachments(name,body,big) SELECT 'file_'||g||'.bin', decode(repeat(md5(g::text),600),'hex'), repeat((SELECT string_agg(w,' ') FROM ops.words),3+g%9) FROM generate_series(1,greatest(10,(300*:scale)::int)) g;
CREATE TABLE settings (key text PRIMARY KEY, value jsonb, parent text);

-- ~40 small reference tables ----------------------------------------------------
DO $$
DECLARE i int; n text; topics text[] := ARRAY['city','zone','fare_rule','promo','holiday','toll','airport','terminal','franchise','ltfrb_case','doc_type','role','permission','role_permission','api_key','webhook','template','locale','currency','bank','payout_rule','penalty','incident_type','incident','shift','depot','fuel_price','maintenance_type','maintenance','insurance','feature_flag','experiment','faq','ticket_category','ticket','survey','region','rate_card','device_model','blocklist'];
BEGIN
 FOR i IN 1..array_length(topics,1) LOOP
  n := 'ref_'||topics[i];
  EXECUTE format('CREATE TABLE %I (id serial PRIMARY KEY, code varchar(20) NOT NULL UNIQUE, label text NOT NULL, parent_id int REFERENCES %I(id), sort smallint DEFAULT 0, active boolean DEFAULT true, effective daterange, amount numeric(10,2) CHECK (amount >= 0), extra jsonb, created_at timestamptz DEFAULT now())', n, n);
  EXECUTE format('INSERT INTO %I(code,label,parent_id,sort,active,effective,amount,extra) SELECT %L||g, initcap((SELECT w FROM ops.words WHERE i=g%%150))||'' ''||(SELECT w FROM ops.words WHERE i=(g*7)%%150), NULLIF(g/4,0), g%%100, g%%9<>0, daterange(date ''2024-01-01''+g, date ''2025-01-01''+g), g*1.25, jsonb_build_object(''k'',g) FROM generate_series(1,%s) g', n, upper(left(topics[i],3))||'-', 20+(i*37)%480);
  EXECUTE format('CREATE INDEX ON %I(parent_id)', n);
  EXECUTE format('COMMENT ON TABLE %I IS %L', n, 'Reference: '||topics[i]||' (it''s generated)');
 END LOOP;
END $$;

-- large objects ------------------------------------------------------------------
SELECT count(lo_from_bytea(0, z.body)) FROM (SELECT g, decode(string_agg(CASE WHEN (k+g)%2=0 THEN md5((k::bigint*g)::text||random()::text) ELSE repeat('4f70735477724c67',4) END,''),'hex') AS body
  FROM generate_series(1,:n_lo) g, generate_series(1,4000) k GROUP BY g) z \g /dev/null
UPDATE drivers d SET photo_oid = l.oid FROM (SELECT oid, row_number() OVER (ORDER BY oid) rn FROM pg_largeobject_metadata) l WHERE d.id=l.rn;

-- functions, triggers, views, matview ------------------------------------------------
CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$;
CREATE FUNCTION ops.haversine(a double precision, b double precision, c double precision, d double precision) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 12742*asin(sqrt(power(sin(radians(c-a)/2),2)+cos(radians(a))*cos(radians(c))*power(sin(radians(d-b)/2),2))) $$;
CREATE FUNCTION booking_total(bigint) RETURNS numeric LANGUAGE sql STABLE AS $$ SELECT coalesce(sum(amount),0) FROM public.payments WHERE booking_id=$1 $$;
CREATE FUNCTION log_booking_change() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO public.audit_log(at,actor,action,entity,entity_id,diff) VALUES (now(),current_user,lower(TG_OP),'booking',NEW.id,jsonb_build_object('old',OLD.status,'new',NEW.status)); RETURN NEW; END $f$;
CREATE PROCEDURE ops.purge_old(days int) LANGUAGE plpgsql AS $$ BEGIN DELETE FROM public.session_cache WHERE expires < now()-make_interval(days=>days); COMMIT; END $$;
CREATE FUNCTION ops.longer(text,text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN length($2) > length(coalesce($1,'')) THEN $2 ELSE $1 END $$;
CREATE AGGREGATE ops.longest(text) (SFUNC = ops.longer, STYPE = text);
ALTER TABLE users ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX users_email_key ON users(lower(email)); CREATE INDEX ON users(phone); CREATE INDEX ON users USING gin(preferences jsonb_path_ops); CREATE INDEX ON users(created_at);
CREATE INDEX users_name_trgm ON users USING gin (full_name gin_trgm_ops);
ALTER TABLE drivers ADD PRIMARY KEY (id), ADD UNIQUE (license_no), ADD FOREIGN KEY (user_id) REFERENCES users(id);
CREATE INDEX ON drivers(user_id);
ALTER TABLE vehicles ADD PRIMARY KEY (id), ADD UNIQUE (plate), ADD FOREIGN KEY (driver_id) REFERENCES drivers(id) ON DELETE SET NULL;
CREATE INDEX ON vehicles(driver_id);
ALTER TABLE bookings ADD PRIMARY KEY (id), ADD CONSTRAINT bookings_fare_ck CHECK (fare >= 0);
CREATE UNIQUE INDEX bookings_ref_key ON bookings(ref_code, id); CREATE INDEX ON bookings(user_id); CREATE INDEX ON bookings(driver_id, requested_at); CREATE INDEX ON bookings(requested_at);
CREATE INDEX bookings_active ON bookings(status, requested_at) WHERE status IN ('requested','accepted','arrived','in_progress');
ALTER TABLE bookings ADD FOREIGN KEY (user_id) REFERENCES users(id), ADD FOREIGN KEY (driver_id) REFERENCES drivers(id), ADD FOREIGN KEY (vehicle_id) REFERENCES vehicles(id);
ALTER TABLE payments ADD PRIMARY KEY (id), ADD FOREIGN KEY (booking_id) REFERENCES bookings(id) ON DELETE CASCADE DEFERRABLE;
CREATE INDEX ON payments(booking_id); CREATE UNIQUE INDEX ON payments(external_ref); CREATE INDEX ON payments(paid_at);
ALTER TABLE gps_points ADD PRIMARY KEY (booking_id, seq), ADD FOREIGN KEY (booking_id) REFERENCES bookings(id);
CREATE INDEX gps_brin ON gps_points USING brin(ts);
ALTER TABLE audit_log ADD PRIMARY KEY (id);
CREATE INDEX ON audit_log(entity, entity_id); CREATE INDEX ON audit_log(at); CREATE INDEX ON audit_log(actor);
ALTER TABLE trip_events ADD PRIMARY KEY (id, at); CREATE INDEX ON trip_events(booking_id);
CREATE STATISTICS bookings_stx (dependencies, ndistinct) ON driver_id, vehicle_id FROM bookings;
CREATE TRIGGER users_touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER bookings_audit AFTER UPDATE OF status ON bookings FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION log_booking_change();
CREATE RULE settings_nodelete AS ON DELETE TO settings WHERE OLD.key LIKE 'core.%' DO INSTEAD NOTHING;
CREATE VIEW active_bookings AS SELECT b.id, b.ref_code, u.full_name AS rider, d.license_no, b.status, b.requested_at FROM bookings b JOIN users u ON u.id=b.user_id LEFT JOIN drivers d ON d.id=b.driver_id WHERE b.status IN ('requested','accepted','in_progress');
CREATE VIEW driver_scorecard AS SELECT d.id, d.rating, count(b.id) AS trips, sum(b.fare) AS gross FROM drivers d LEFT JOIN bookings b ON b.driver_id=d.id GROUP BY d.id;
CREATE VIEW "Reporting Area".daily AS SELECT date_trunc('day', requested_at) AS d, status, count(*) AS n FROM public.bookings GROUP BY 1,2;
CREATE MATERIALIZED VIEW revenue_by_month AS SELECT date_trunc('month', b.requested_at) AS m, p.method, count(*) n, sum(p.net) AS net FROM bookings b JOIN payments p ON p.booking_id=b.id GROUP BY 1,2;
CREATE UNIQUE INDEX ON revenue_by_month(m, method);
ALTER TABLE users ENABLE ROW LEVEL SECURITY; CREATE POLICY users_all ON users USING (true);
INSERT INTO settings SELECT 'core.k'||g, jsonb_build_object('v',g), NULL FROM generate_series(1,50) g;
DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname='opstower_ro') THEN CREATE ROLE opstower_ro NOLOGIN; END IF; END $$;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO opstower_ro;
COMMENT ON COLUMN bookings.meta IS 'free-form; semicolons; ''quotes'' and $$dollars$$';
SELECT setval('invoice_no_seq', 123456) \g /dev/null
RESET synchronous_commit;
VACUUM ANALYZE;
CHECKPOINT;
SELECT pg_size_pretty(pg_database_size(current_database())) AS database_size, (SELECT count(*) FROM pg_class WHERE relkind IN ('r','p') AND relnamespace IN ('public'::regnamespace,'ops'::regnamespace)) AS tables,
  (SELECT count(*) FROM pg_class WHERE relkind='i' AND relnamespace IN ('public'::regnamespace,'ops'::regnamespace)) AS indexes;
