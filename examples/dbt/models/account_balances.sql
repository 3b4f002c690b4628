-- The balances of the accounts as QuickBooks keeps them. This is no balance sheet: the profit of the year is in none of them, and currencies are
-- not converted.
select classification, account_type, sum(balance) as balance
from {{ source('quickbooks', 'account') }}
where classification in ('Asset', 'Liability', 'Equity') and not _fivetran_deleted
group by classification, account_type
