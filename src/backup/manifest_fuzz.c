/* manifest_fuzz.c - any octets as a manifest: refused, or read with no name that leaves its
 * folder. */
#include "backup/backup_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct manifest m;
    struct manifest_file f;
    struct str text = arena_str(&a, str_from((const char *)data, size));
    if (manifest_parse(text, &a, &m, NULL) != RC_OK)
        return 0;
    for (size_t i = 0; i < m.count; i++) {
        if (str_find_str(m.folders[i].path, STR("../")) == 0)
            abort();
        for (struct str lines = m.folders[i].lines; manifest_next(&lines, &a, &f);)
            if (str_find(f.name, '/') != SIZE_MAX || str_eq(f.name, STR("..")))
                abort();
    }
    manifest_release(&m);
    return 0;
}
