select
    customer.display_name,
    count(*) as invoices,
    sum(invoice.balance) as open_balance,
    min(invoice.due_date) as oldest_due_date
from {{ source('quickbooks', 'invoice') }} as invoice
left join {{ source('quickbooks', 'customer') }} as customer on customer.id = invoice.customer_id
where invoice.balance > 0 and not invoice._fivetran_deleted
group by customer.id, customer.display_name
