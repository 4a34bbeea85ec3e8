/* result.c - the texts of results.def. */
#include "admin/admin.h"

const char *admin_result_text(enum admin_result r)
{
    switch (r) {
#define RESULT(name, number, text)                                                             \
    case ADMIN_##name:                                                                         \
        return text;
#include "admin/results.def"
#undef RESULT
    }
    return "error";
}
