-- Why simod canceled a message itself; null: somebody did.
alter table message add column cancel_reason text;

-- A client's messages that wait for their time, the next one first.
create index message_scheduled on message (client_id, due_at, id) where due_at is not null;

-- A person's codes, which are withdrawn with him.
create index invite_employee on invite (client_id, employee_id) where used_at is null;

-- Nothing leads into the archive or out of it any more: what comes back comes back without grants, members and codes.
delete from topic_grant where exists (
        select 1 from topic t
        where t.client_id = topic_grant.client_id and t.id = topic_grant.topic_id and t.archived_at is not null)
    or exists (
        select 1 from "group" g
        where g.client_id = topic_grant.client_id and g.id = topic_grant.group_id and g.archived_at is not null)
    or exists (
        select 1 from employee e
        where e.client_id = topic_grant.client_id and e.id = topic_grant.employee_id and e.archived_at is not null);
delete from group_member where exists (
    select 1 from "group" g
    where g.client_id = group_member.client_id and g.id = group_member.group_id and g.archived_at is not null);
delete from group_inclusion where exists (
    select 1 from "group" g
    where g.client_id = group_inclusion.client_id and g.id in (group_inclusion.group_id, group_inclusion.included_id)
        and g.archived_at is not null);
update invite set expires_at = 0, withdrawn_at = (
        select e.archived_at from employee e where e.client_id = invite.client_id and e.id = invite.employee_id)
    where used_at is null and exists (
        select 1 from employee e
        where e.client_id = invite.client_id and e.id = invite.employee_id and e.archived_at is not null);

-- `insert or replace` takes a row away without a `delete` that the triggers would see.
create trigger audit_is_once before insert on audit
when exists (select 1 from audit a where a.client_id = new.client_id and a.seq = new.seq) begin
    select raise(abort, 'the audit is append-only');
end;
create trigger audit_payload_is_once before insert on audit_payload
when exists (select 1 from audit_payload p where p.client_id = new.client_id and p.seq = new.seq) begin
    select raise(abort, 'the audit is append-only');
end;
