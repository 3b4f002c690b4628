-- qbo-backfill, views of the shape that the dbt package fivetran/dbt_quickbooks reads, over the raw tables of one company. This script comes
-- first: it creates their schema, the functions that they read payloads with, and the line that says which version is installed. It and the
-- others can run again at any time; qbo-backfill views install runs all of them in one transaction.
--
-- A payload is as QuickBooks sent it. Each function returns null for what it cannot read, and never an error.

CREATE SCHEMA IF NOT EXISTS quickbooks /*target*/;
-- Without pg_catalog, which is then searched first: a function of the target schema with the name of a built-in one is not called in its place.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

-- One line. It also marks the schema as one that views drop may empty.
CREATE TABLE IF NOT EXISTS qbo_backfill_views (
    view_set         text PRIMARY KEY,
    package_version  text NOT NULL,
    version          integer NOT NULL,
    raw_schema       text NOT NULL,
    installed_at_utc timestamptz NOT NULL,
    -- Whether the schema did not exist before; views drop then removes it.
    created_schema   boolean NOT NULL
);

-- A number, also one that was sent as text, with all its digits; at most 200 characters.
CREATE OR REPLACE FUNCTION as_number(value text) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF length(value) <= 200 AND value ~ '^ *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,2})? *$' THEN
        RETURN value::numeric;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION as_boolean(value text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE lower(value) WHEN 'true' THEN true WHEN 'false' THEN false END
$$;

-- A date of the calendar. A zone or a time of day after it does not change it.
CREATE OR REPLACE FUNCTION as_date(value text) RETURNS date
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    month integer;
    day date;
BEGIN
    IF value ~ '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])($|[TZ+-])' THEN
        month := substr(value, 6, 2)::integer;
        day := make_date(left(value, 4)::integer, month, 1) + (substr(value, 9, 2)::integer - 1);
        -- 30 February would be a day of March.
        IF extract(month FROM day) = month THEN
            RETURN day;
        END IF;
    END IF;
    RETURN NULL;
END
$$;

-- An instant, in UTC; of a date alone, its midnight. The zone of a time without an offset is unknown, so such a time is null. Without capturing
-- groups, which make the match several times slower.
CREATE OR REPLACE FUNCTION as_time(value text) RETURNS timestamp
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    instant timestamp;
BEGIN
    IF length(value) = 10 THEN
        RETURN quickbooks /*target*/.as_date(value);
    END IF;
    IF value ~ '^ *[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.,][0-9]{1,9})? ?(?:[Zz]|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?) *$'
        AND quickbooks /*target*/.as_date(left(ltrim(value), 10)) IS NOT NULL
    THEN
        instant := replace(value, ',', '.')::timestamptz AT TIME ZONE 'UTC';
        -- Clients cannot read the evening before the year 1, or the morning after the year 9999.
        IF instant >= '0001-01-01' AND instant < '10000-01-01' THEN
            RETURN instant;
        END IF;
    END IF;
    RETURN NULL;
END
$$;

-- The array itself, and an empty one in place of anything else.
CREATE OR REPLACE FUNCTION as_array(value jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'array' THEN value ELSE '[]'::jsonb END
$$;

-- The lines of a sale, from 1. A bundle that has parts is its parts, each of which is a sale of an item: the amount of the bundle is their sum, and
-- the package would post it to no account. A bundle without parts is itself.
CREATE OR REPLACE FUNCTION sales_lines(record jsonb) RETURNS TABLE (doc jsonb, number bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 10 AS $$
    SELECT coalesce(part.doc, line.doc), row_number() OVER (ORDER BY line.number, part.number)
    FROM jsonb_array_elements(quickbooks /*target*/.as_array(record -> 'Line')) WITH ORDINALITY AS line (doc, number)
    LEFT JOIN LATERAL jsonb_array_elements(quickbooks /*target*/.as_array(line.doc #> '{GroupLineDetail,Line}'))
        WITH ORDINALITY AS part (doc, number) ON true
$$;

-- The id of the first transaction of one of these types that a line is linked to.
CREATE OR REPLACE FUNCTION linked_id(line jsonb, VARIADIC types text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    links jsonb := line -> 'LinkedTxn';
BEGIN
    IF jsonb_typeof(links) = 'array' THEN
        FOR number IN 0 .. jsonb_array_length(links) - 1 LOOP
            IF links -> number ->> 'TxnType' = ANY (types) THEN
                RETURN links -> number ->> 'TxnId';
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END
$$;

-- The text of the first custom field whose label is one of these names in snake case: of p_o_number, for example, P.O. Number.
CREATE OR REPLACE FUNCTION custom_field(record jsonb, VARIADIC names text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    fields jsonb := record -> 'CustomField';
BEGIN
    IF jsonb_typeof(fields) = 'array' THEN
        FOR number IN 0 .. jsonb_array_length(fields) - 1 LOOP
            IF btrim(regexp_replace(lower(fields -> number ->> 'Name'), '[^a-z0-9]+', '_', 'g'), '_') = ANY (names) THEN
                RETURN fields -> number ->> 'StringValue';
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END
$$;
