import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from attune_project.identity.keys.encryption import identifier
from attune_project.identity.keys.storing import UnreadableKey, rotate, save_value, value_of
from attune_project.identity.models import Key

pytestmark = pytest.mark.django_db
NEW = "a new encryption key of enough characters"


def stored(ref="demo.token"):
    with connection.cursor() as cursor:
        cursor.execute("SELECT value::text FROM key WHERE ref = %s", [ref])
        return cursor.fetchone()[0]


@pytest.fixture
def renewed_secret(settings):
    """Let the installation have a new encryption key, and know the one before."""
    settings.ATTUNE_ENCRYPTION_KEYS_OLD = [settings.ATTUNE_ENCRYPTION_KEY]
    settings.ATTUNE_ENCRYPTION_KEY = NEW


def test_a_secret_is_not_in_the_database(make_key):
    make_key()

    assert "hunter2" not in stored()
    assert value_of(Key.objects.get()) == "hunter2hunter2"


@pytest.mark.parametrize("value", ["text", 7, None, False, {"user": "ada", "tokens": ["a", "b"]}])
@pytest.mark.parametrize("encrypted", [True, False])
def test_any_json_value_comes_back(make_key, value, encrypted):
    make_key(value=value, encrypted=encrypted)

    assert value_of(Key.objects.get()) == value


def test_the_hash_of_the_encryption_key_stands_beside_a_secret(make_key, settings):
    secret, plain = make_key("a.secret"), make_key("a.plain", encrypted=False)

    assert secret.encryption_key_hash == identifier(settings.ATTUNE_ENCRYPTION_KEY)
    assert plain.encryption_key_hash is None


def test_a_value_that_is_moved_to_another_key_is_refused(make_key):
    make_key("demo.token")
    make_key("demo.other", "other")
    Key.objects.filter(ref="demo.other").update(value=Key.objects.get(ref="demo.token").value)

    with pytest.raises(UnreadableKey, match=r"The key demo\.other can't be decrypted: it was changed"):
        value_of(Key.objects.get(ref="demo.other"))


def test_keys_are_read_while_the_encryption_key_is_renewed(make_key, settings, request):
    make_key()
    request.getfixturevalue("renewed_secret")

    assert value_of(Key.objects.get()) == "hunter2hunter2"


def test_rotation_needs_the_old_encryption_key_no_more(make_key, settings, request, capsys):
    make_key()
    make_key("demo.plain", "plain", encrypted=False)
    request.getfixturevalue("renewed_secret")

    call_command("key_rotate")

    settings.ATTUNE_ENCRYPTION_KEYS_OLD = []
    assert capsys.readouterr().out == "1 keys encrypted anew\n"
    key = Key.objects.get(ref="demo.token")
    assert (value_of(key), key.encryption_key_hash) == ("hunter2hunter2", identifier(NEW))
    assert rotate() == (0, [])


def test_rotation_names_what_it_can_not_read_and_renews_the_rest(make_key, settings, request):
    make_key("demo.broken")
    make_key("demo.token")
    Key.objects.filter(ref="demo.broken").update(value="attune1.0.AAAA")
    request.getfixturevalue("renewed_secret")

    with pytest.raises(CommandError, match=r"1 keys stay as they are:\nThe key demo\.broken can't be"):
        call_command("key_rotate")

    assert Key.objects.get(ref="demo.token").encryption_key_hash == identifier(NEW)
    assert stored("demo.broken") == '"attune1.0.AAAA"'


@pytest.mark.parametrize(
    "wrong",
    [
        {"owner_type": "pack", "owner": "demo"},
        {"owner_type": "identity", "owner": "1"},
        {"owner_type": "system", "owner": "system", "owner_pack_ref": "demo"},
        {"owner_type": "wind", "owner": "north"},
    ],
)
def test_a_key_has_the_owner_that_its_type_says(wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        save_value(Key(ref="demo.token", name="token", **wrong), "x", encrypted=False)


def test_keys_go_with_their_owner(make_key, pack, nobody):
    make_key("demo.a", owner=pack)
    make_key("demo.b", owner=nobody)
    make_key("demo.c")

    pack.delete()
    nobody.delete()

    assert list(Key.objects.values_list("ref", flat=True)) == ["demo.c"]
