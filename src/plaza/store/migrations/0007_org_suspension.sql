-- An organisation that is suspended: nobody of it comes in until that is lifted.

alter table org add column suspended_at timestamptz;
