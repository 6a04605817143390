import pytest

from attune_project.packs.models import Pack, Runtime, Worker


@pytest.fixture
def admin_pages(client, administrator, core):
    Worker.objects.create(name="w1")
    client.force_login(administrator)
    return client


@pytest.mark.parametrize("model", [Pack, Runtime, Worker])
def test_lists_and_pages_open(admin_pages, model):
    row = model.objects.first()
    name = model._meta.model_name

    assert admin_pages.get(f"/admin/packs/{name}/").status_code == 200
    assert admin_pages.get(f"/admin/packs/{name}/{row.pk}/change/").status_code == 200
    assert admin_pages.get(f"/admin/packs/{name}/?q=x").status_code == 200


@pytest.mark.parametrize("model", [Pack, Runtime, Worker])
def test_nothing_is_added_or_deleted_by_hand(admin_pages, model):
    row = model.objects.first()
    name = model._meta.model_name

    assert admin_pages.get(f"/admin/packs/{name}/add/").status_code == 403
    assert admin_pages.post(f"/admin/packs/{name}/{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_label_is_changed(admin_pages):
    pack = Pack.objects.get(ref="core")

    admin_pages.post(f"/admin/packs/pack/{pack.pk}/change/", {"label": "Kernel", "description": "x"})

    pack.refresh_from_db()
    assert (pack.label, pack.version) == ("Kernel", "0.1.0")


def test_secret_settings_are_not_shown(admin_pages):
    pack = Pack.objects.create(
        ref="shop",
        label="Shop",
        version="1.0.0",
        conf_schema={"token": {"type": "string", "secret": True}},
        config={"token": "t0p-secret", "region": "<b>eu</b>"},
    )

    page = admin_pages.get(f"/admin/packs/pack/{pack.pk}/change/").content.decode()

    assert "t0p-secret" not in page
    assert "redacted" in page
    assert "&lt;b&gt;eu" in page


def test_a_list_of_packs_costs_no_query_per_row(admin_pages, django_assert_max_num_queries, administrator):
    for number in range(20):
        Pack.objects.create(ref=f"p{number}", label="x", version="1.0.0", owner=administrator)

    with django_assert_max_num_queries(12):
        admin_pages.get("/admin/packs/pack/")


@pytest.mark.parametrize(("verb", "cordoned", "drained"), [("cordon", True, False), ("drain", True, True)])
def test_a_worker_is_stopped_from_its_page_with_a_reason(admin_pages, administrator, verb, cordoned, drained):
    worker = Worker.objects.get(name="w1")
    page = f"/admin/packs/worker/{worker.pk}/{verb}/"

    assert verb.title() in admin_pages.get(page).content.decode()
    assert admin_pages.post(page, {"reason": "new disk"}).status_code == 302

    worker.refresh_from_db()
    assert (worker.cordoned, worker.cordon_reason, worker.cordoned_by) == (
        cordoned,
        "new disk",
        administrator,
    )
    assert (worker.drain_requested_at is not None) == drained

    assert admin_pages.post(f"/admin/packs/worker/{worker.pk}/uncordon/").status_code == 302
    worker.refresh_from_db()
    assert not worker.cordoned


@pytest.mark.parametrize("word", ["cordon", "uncordon", "drain", "forget"])
def test_selected_workers_are_managed(admin_pages, word):
    worker = Worker.objects.create(name="w2", status="inactive")

    admin_pages.post("/admin/packs/worker/", {"action": word, "_selected_action": [worker.pk]})

    left = Worker.objects.filter(pk=worker.pk).first()
    assert (left is None) == (word == "forget")
    assert left is None or left.cordoned == (word in ("cordon", "drain"))


def test_who_only_reads_workers_is_offered_no_button(client, identity_with):
    reader = identity_with({"resource": "workers", "actions": ["read"], "constraints": {}})
    reader.is_staff = True
    reader.save()
    client.force_login(reader)
    worker = Worker.objects.create(name="w1")

    client.post(f"/admin/packs/worker/{worker.pk}/cordon/", {"reason": "x"})

    worker.refresh_from_db()
    assert not worker.cordoned
