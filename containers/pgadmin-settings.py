# The settings of the stand-in for pgAdmin's image (config_local.py).
SERVER_MODE = True
DATA_DIR = "/var/lib/pgadmin"
LOG_FILE = "/var/lib/pgadmin/pgadmin4.log"
SQLITE_PATH = "/var/lib/pgadmin/pgadmin4.db"
SESSION_DB_PATH = "/var/lib/pgadmin/sessions"
STORAGE_DIR = "/var/lib/pgadmin/storage"
AZURE_CREDENTIAL_CACHE_DIR = "/var/lib/pgadmin/azurecredentialcache"
KERBEROS_CCACHE_DIR = "/var/lib/pgadmin/kerberoscache"
UPGRADE_CHECK_ENABLED = False
MASTER_PASSWORD_REQUIRED = False
