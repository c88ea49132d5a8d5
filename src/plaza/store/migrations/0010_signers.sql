-- Who vouches for a person: a subject is unique for its signer, no longer for the organisation alone (decisions/0021).

-- `signer` of a key: `host` for the organisation's own keys together; of a key set the same for equal addresses, so that
-- it outlives the trust. `roles`: those that a key set may give; `claims`: whether it may claim people who were only
-- named by others so far. Both bind key sets alone: the organisation's own keys may do everything.
alter table org_key
    add column signer text not null
        generated always as (case when jwks_url is null then 'host' else 'jwks:' || md5(jwks_url) end) stored,
    add column roles text[] not null default '{customer}' check (roles <@ '{customer,staff,admin}'),
    add column claims boolean not null default false;

-- The only key set that an organisation ever trusted is its own login, and may do what it could. Of several nobody can
-- tell: they sign customers in until the operator says more.
update org_key k set roles = '{customer,staff,admin}', claims = true
where k.jwks_url is not null
    and (select count(distinct o.jwks_url) from org_key o where o.org = k.org and o.jwks_url is not null) = 1;

-- `plaza` (built-in accounts), `host`, or a key set's. None: no subject, or one that came before signers were kept and
-- of which nobody can tell; nobody signs in as that person until the operator says whose they are.
alter table person add column signer text;
-- Also for the version before, which looks a subject up without its signer and writes none.
create unique index person_subject on person (org, subject, signer) nulls not distinct where subject is not null;
alter table person drop constraint person_org_subject_key;
