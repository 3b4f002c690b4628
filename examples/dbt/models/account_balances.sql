-- The balances of the accounts as QuickBooks keeps them.
select classification, account_type, sum(balance) as balance
from {{ source('quickbooks', 'account') }}
where classification in ('Asset', 'Liability', 'Equity') and not _fivetran_deleted
group by classification, account_type
