/* A libnvidia-ml.so.1 without a GPU: what it answers is steered by environment variables, read at each call.

   STUB_GPUS        how many GPUs there are; 1 by default
   STUB_NAMES       their names, separated by commas; "Stub GPU" by default
   STUB_INIT        what initialising returns
   STUB_FAIL        "function=code,function@gpu=code": what these functions return, on all GPUs or on one
   STUB_LOST        "gpu:code:calls": that GPU returns the code after so many more calls, until NVML is initialised
                    anew while the variable is not set
   STUB_MIG         "gpu:n": that GPU is divided into n instances, with an empty place behind the first
   STUB_PROCESSES   "device/pid/bytes,…" where device is a GPU or gpu.place of an instance; bytes may be "?"
   STUB_POWER_MW, STUB_ENERGY_MJ, STUB_THROTTLE, STUB_NVLINK_KIB, STUB_CORES
                    what the functions of that meaning return
   STUB_GPM         set: there are performance counters

   stub_calls(name) tells how often a function was called, stub_users() how often NVML is initialised,
   stub_snapshots() how many snapshots of performance counters are allocated. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK, UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, UNKNOWN = 999 };
enum { MOST_GPUS = 16, PLACES = 7, WHOLE = -1, NAMES = 64 };

typedef unsigned long long Long;
typedef struct { int gpu, place; } Device;
typedef struct { unsigned pid; Long bytes; unsigned gpu_instance, compute_instance; } Process;
typedef union { unsigned u; Long ull; } Value;
typedef struct { uint32_t field, scope; int64_t time, latency; unsigned type, code; Value value; } Field;
typedef struct { unsigned id, code; double value; const char *texts[3]; } GpmMetric;
typedef struct { unsigned version, count; void *before, *after; GpmMetric metrics[1]; } GpmQuestion;

static Device devices[MOST_GPUS][PLACES + 1];
static struct { char name[64]; int calls; } counts[NAMES];
static int users, snapshots, dead[MOST_GPUS], device_calls[MOST_GPUS];
static char lost_before[64];

static const char *text(const char *name, const char *otherwise) {
    const char *v = getenv(name);
    return v ? v : otherwise;
}
static Long number(const char *name, Long otherwise) {
    const char *v = getenv(name);
    return v ? strtoull(v, NULL, 10) : otherwise;
}

int stub_users(void) { return users; }
int stub_snapshots(void) { return snapshots; }
int stub_calls(const char *name) {
    for (int i = 0; i < NAMES; i++) if (!strcmp(counts[i].name, name)) return counts[i].calls;
    return 0;
}

static void count(const char *name) {
    for (int i = 0; i < NAMES; i++) {
        if (!counts[i].name[0]) snprintf(counts[i].name, sizeof counts[i].name, "%s", name);
        if (!strcmp(counts[i].name, name)) { counts[i].calls++; return; }
    }
}

static int told_to_fail(const char *name, int gpu) {
    char list[1024], *rest = list, *item;
    snprintf(list, sizeof list, "%s", text("STUB_FAIL", ""));
    while ((item = strsep(&rest, ","))) {
        char function[128];
        int code, only = gpu;
        int understood = sscanf(item, "%127[^@=]@%d=%d", function, &only, &code) == 3 ||
                         sscanf(item, "%127[^@=]=%d", function, &code) == 2;
        if (understood && !strcmp(function, name) && only == gpu) return code;
    }
    return OK;
}

static int lost(int gpu) {
    int which, code, calls;
    const char *told = text("STUB_LOST", "");
    if (strcmp(told, lost_before)) {
        snprintf(lost_before, sizeof lost_before, "%s", told);
        memset(device_calls, 0, sizeof device_calls);
    }
    if (sscanf(told, "%d:%d:%d", &which, &code, &calls) == 3 && which == gpu && device_calls[gpu]++ >= calls)
        dead[gpu] = code;
    return dead[gpu];
}

static int enter(const char *name, const Device *device) {
    count(name);
    if (!users) return UNINITIALIZED;
    if (!device) return told_to_fail(name, -1);
    int code = lost(device->gpu);
    return code ? code : told_to_fail(name, device->gpu);
}

#define SYSTEM(name, parameters, ...) \
    int name parameters { int failed = enter(#name, NULL); if (failed) return failed; __VA_ARGS__ return OK; }
#define DEVICE(name, parameters, ...) \
    int name parameters { int failed = enter(#name, device); if (failed) return failed; __VA_ARGS__ return OK; }
/* What only a whole GPU answers. */
#define WHOLE_GPU(name, parameters, ...) \
    DEVICE(name, parameters, if (device->place != WHOLE) return INVALID_ARGUMENT; __VA_ARGS__)

static int instances(int gpu) {
    int which, n;
    return sscanf(text("STUB_MIG", ""), "%d:%d", &which, &n) == 2 && which == gpu ? n : 0;
}

int nvmlInitWithFlags(unsigned flags) {
    int code = (int)number("STUB_INIT", 0);
    count("nvmlInitWithFlags");
    if (code) return code;
    users++;
    if (!getenv("STUB_LOST")) memset(dead, 0, sizeof dead);
    return OK;
}
int nvmlShutdown(void) { count("nvmlShutdown"); return users ? (users--, OK) : UNINITIALIZED; }
const char *nvmlErrorString(int code) { return "as the stub says"; }

SYSTEM(nvmlSystemGetDriverVersion, (char *v, unsigned n), { snprintf(v, n, "580.65.06"); })
SYSTEM(nvmlSystemGetCudaDriverVersion_v2, (int *v), { *v = 13010; })
SYSTEM(nvmlDeviceGetCount_v2, (unsigned *n), { *n = (unsigned)number("STUB_GPUS", 1); })

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **found) {
    Device *device = &devices[index][PLACES];
    *device = (Device){(int)index, WHOLE};
    *found = device;
    return enter("nvmlDeviceGetHandleByIndex_v2", device);
}

DEVICE(nvmlDeviceGetUUID, (Device *device, char *v, unsigned n), {
    if (device->place == WHOLE) snprintf(v, n, "GPU-%08x-aaaa-bbbb-cccc-000000000000", 0xa0 + device->gpu);
    else snprintf(v, n, "MIG-%08x-aaaa-bbbb-cccc-00000000000%d", 0xb0 + device->gpu, device->place);
})
DEVICE(nvmlDeviceGetName, (Device *device, char *v, unsigned n), {
    char names[256]; char *rest = names; char *name = "Stub GPU";
    snprintf(names, sizeof names, "%s", text("STUB_NAMES", ""));
    for (int i = 0; names[0] && i <= device->gpu && rest; i++) name = strsep(&rest, ",");
    snprintf(v, n, device->place == WHOLE ? "%s" : "%s MIG 1g.5gb", name);
})
WHOLE_GPU(nvmlDeviceGetMigMode, (Device *device, unsigned *now, unsigned *next), {
    if (!getenv("STUB_MIG")) return NOT_SUPPORTED;
    *now = *next = instances(device->gpu) > 0;
})
WHOLE_GPU(nvmlDeviceGetMaxMigDeviceCount, (Device *device, unsigned *n), { *n = PLACES; })
WHOLE_GPU(nvmlDeviceGetMigDeviceHandleByIndex, (Device *device, unsigned place, Device **found), {
    if (place == 1 || (int)place > instances(device->gpu)) return NOT_FOUND;
    if (instances(device->gpu) == 1 && place) return NOT_FOUND;
    devices[device->gpu][place] = (Device){device->gpu, (int)place};
    *found = &devices[device->gpu][place];
})
DEVICE(nvmlDeviceGetGpuInstanceId, (Device *device, unsigned *id), { *id = 7 + (unsigned)device->place; })
DEVICE(nvmlDeviceGetComputeInstanceId, (Device *device, unsigned *id), { *id = 0; })

DEVICE(nvmlDeviceGetMemoryInfo, (Device *device, Long *m), {
    m[0] = device->place == WHOLE ? 80ull << 30 : 5ull << 30; m[1] = m[0] - (3ull << 30); m[2] = 3ull << 30;
})
DEVICE(nvmlDeviceGetMemoryInfo_v2, (Device *device, Long *m), {
    m[1] = device->place == WHOLE ? 80ull << 30 : 5ull << 30; m[2] = 1ull << 30; m[4] = 2ull << 30;
    m[3] = m[1] - m[2] - m[4];
})
DEVICE(nvmlDeviceGetNumGpuCores, (Device *device, unsigned *n), {
    *n = device->gpu ? (unsigned)number("STUB_CORES", 1000) : 1000;
})
DEVICE(nvmlDeviceGetMaxClockInfo, (Device *device, unsigned kind, unsigned *mhz), { *mhz = 2000; })
WHOLE_GPU(nvmlDeviceGetUtilizationRates, (Device *device, unsigned *rates), {
    rates[0] = 90 - (unsigned)device->gpu; rates[1] = 40;
})
WHOLE_GPU(nvmlDeviceGetTemperatureV, (Device *device, int *t), { t[2] = 65; })
WHOLE_GPU(nvmlDeviceGetTemperature, (Device *device, unsigned sensor, unsigned *t), { *t = 64; })
WHOLE_GPU(nvmlDeviceGetPowerUsage, (Device *device, unsigned *mw), {
    *mw = (unsigned)number("STUB_POWER_MW", 250000);
})
WHOLE_GPU(nvmlDeviceGetEnforcedPowerLimit, (Device *device, unsigned *mw), { *mw = 700000; })
WHOLE_GPU(nvmlDeviceGetTotalEnergyConsumption, (Device *device, Long *mj), {
    *mj = number("STUB_ENERGY_MJ", 5000000);
})
WHOLE_GPU(nvmlDeviceGetClockInfo, (Device *device, unsigned kind, unsigned *mhz), {
    *mhz = kind == 1 ? 1980 : 2619;
})
WHOLE_GPU(nvmlDeviceGetCurrentClocksEventReasons, (Device *device, Long *mask), {
    *mask = number("STUB_THROTTLE", 0);
})
WHOLE_GPU(nvmlDeviceGetCurrentClocksThrottleReasons, (Device *device, Long *mask), {
    *mask = number("STUB_THROTTLE", 0);
})
WHOLE_GPU(nvmlDeviceGetTotalEccErrors, (Device *device, unsigned kind, unsigned counter, Long *n), {
    *n = kind ? 1 : 12;
})
WHOLE_GPU(nvmlDeviceGetRemappedRows, (Device *device, unsigned *a, unsigned *b, unsigned *c, unsigned *d), {
    *a = 2; *b = 1; *c = *d = 0;
})
WHOLE_GPU(nvmlDeviceGetFanSpeed, (Device *device, unsigned *pct), { *pct = 33; })

WHOLE_GPU(nvmlDeviceGetFieldValues, (Device *device, int n, Field *fields), {
    for (int i = 0; i < n; i++) {
        const char *links = getenv("STUB_NVLINK_KIB");
        fields[i].code = fields[i].field == 82 || links ? OK : NOT_SUPPORTED;
        fields[i].type = fields[i].field == 82 ? 1 : 3;
        if (fields[i].field == 82) fields[i].value.u = 71;
        else if (links) fields[i].value.ull = strtoull(links, NULL, 10) * (fields[i].field - 137);
    }
})

static int list_processes(const Device *device, unsigned *room, Process *processes) {
    char list[4096], here[16], *rest = list, *item;
    unsigned found = 0;
    snprintf(here, sizeof here, device->place == WHOLE ? "%d" : "%d.%d", device->gpu, device->place);
    snprintf(list, sizeof list, "%s", text("STUB_PROCESSES", ""));
    while ((item = strsep(&rest, ","))) {
        char where[16], bytes[32];
        unsigned pid;
        if (sscanf(item, "%15[^/]/%u/%31s", where, &pid, bytes) != 3 || strcmp(where, here)) continue;
        if (found < *room && processes)
            processes[found] = (Process){pid, bytes[0] == '?' ? ~0ull : strtoull(bytes, NULL, 10), ~0u, ~0u};
        found++;
    }
    int fits = found <= *room;
    *room = found;
    return fits ? OK : INSUFFICIENT_SIZE;
}
DEVICE(nvmlDeviceGetComputeRunningProcesses_v3, (Device *device, unsigned *n, Process *list), {
    return list_processes(device, n, list);
})
DEVICE(nvmlDeviceGetComputeRunningProcesses_v2, (Device *device, unsigned *n, Process *list), {
    return list_processes(device, n, list);
})
DEVICE(nvmlDeviceGetGraphicsRunningProcesses_v3, (Device *device, unsigned *n, Process *list), {
    return list_processes(device, n, list);
})
DEVICE(nvmlDeviceGetMPSComputeRunningProcesses_v3, (Device *device, unsigned *n, Process *list), { *n = 0; })

WHOLE_GPU(nvmlGpmQueryDeviceSupport, (Device *device, unsigned *support), {
    support[1] = getenv("STUB_GPM") != NULL;
})
SYSTEM(nvmlGpmSampleAlloc, (void **sample), { *sample = malloc(1); snapshots++; })
SYSTEM(nvmlGpmSampleFree, (void *sample), { free(sample); snapshots--; })
WHOLE_GPU(nvmlGpmSampleGet, (Device *device, void *sample), {})
WHOLE_GPU(nvmlGpmMigSampleGet, (Device *device, unsigned instance, void *sample), {
    if (instance < 7) return INVALID_ARGUMENT;
})
SYSTEM(nvmlGpmMetricsGet, (GpmQuestion *question), {
    if (question->version != 1 || !question->before || !question->after) return INVALID_ARGUMENT;
    for (unsigned i = 0; i < question->count; i++) {
        question->metrics[i].code = question->metrics[i].id == 3 ? NOT_SUPPORTED : OK;
        question->metrics[i].value = question->metrics[i].id;
    }
})
