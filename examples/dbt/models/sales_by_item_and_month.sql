-- Sales on invoices, with the parts of bundles; sales receipts, credit memos and refund receipts are not in it.
select
    cast(date_trunc('month', invoice.transaction_date) as date) as month,
    item.name as item,
    sum(line.sales_item_quantity) as quantity,
    sum(line.amount) as amount
from {{ source('quickbooks', 'invoice_line') }} as line
join {{ source('quickbooks', 'invoice') }} as invoice on invoice.id = line.invoice_id
left join {{ source('quickbooks', 'item') }} as item on item.id = line.sales_item_item_id
where line.sales_item_item_id is not null and not invoice._fivetran_deleted
group by 1, 2
