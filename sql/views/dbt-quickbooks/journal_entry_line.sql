-- One row for each line of a journal entry, from qb_journal_entries.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW journal_entry_line AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    line.doc #>> '{JournalEntryLineDetail,AccountRef,value}' AS account_id,
    as_number(line.doc ->> 'Amount') AS amount,
    line.doc #>> '{JournalEntryLineDetail,BillableStatus}' AS billable_status,
    line.doc #>> '{JournalEntryLineDetail,ClassRef,value}' AS class_id,
    CASE WHEN lower(line.doc #>> '{JournalEntryLineDetail,Entity,Type}') = 'customer'
        THEN line.doc #>> '{JournalEntryLineDetail,Entity,EntityRef,value}' END AS customer_id,
    line.doc #>> '{JournalEntryLineDetail,DepartmentRef,value}' AS department_id,
    line.doc ->> 'Description' AS description,
    as_date(line.doc #>> '{DescriptionLineDetail,ServiceDate}') AS description_service_date,
    line.doc #>> '{DescriptionLineDetail,TaxCodeRef,value}' AS description_tax_code_id,
    CASE WHEN lower(line.doc #>> '{JournalEntryLineDetail,Entity,Type}') = 'employee'
        THEN line.doc #>> '{JournalEntryLineDetail,Entity,EntityRef,value}' END AS employee_id,
    (line.number - 1)::integer AS index,
    source.id AS journal_entry_id,
    line.doc #>> '{JournalEntryLineDetail,PostingType}' AS posting_type,
    as_number(line.doc #>> '{JournalEntryLineDetail,TaxAmount}') AS tax_amount,
    line.doc #>> '{JournalEntryLineDetail,TaxApplicableOn}' AS tax_applicable_on,
    line.doc #>> '{JournalEntryLineDetail,TaxCodeRef,value}' AS tax_code_id,
    CASE WHEN lower(line.doc #>> '{JournalEntryLineDetail,Entity,Type}') = 'vendor'
        THEN line.doc #>> '{JournalEntryLineDetail,Entity,EntityRef,value}' END AS vendor_id
FROM qb_journal_entries AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL jsonb_array_elements(as_array(record.doc -> 'Line')) WITH ORDINALITY AS line (doc, number);
