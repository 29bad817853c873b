// cudnn_json.cpp - a plan as text that another process can take: its engine's number, and the graph's descriptors as a hexadecimal dump
// inside a small JSON object. Opaque on purpose: only the library reads it back, as with cuDNN's own.

#include "cudnn_stand_in.h"

#include <cstring>

namespace stand_in {

namespace {

using Bytes = std::vector<unsigned char>;

template <typename T> void write(Bytes &to, T value) {
    const auto *bytes = reinterpret_cast<const unsigned char *>(&value);
    to.insert(to.end(), bytes, bytes + sizeof value);
}

template <typename T> bool read(const Bytes &from, size_t &at, T &value) {
    if (from.size() - at < sizeof value) return false;
    memcpy(&value, from.data() + at, sizeof value);
    at += sizeof value;
    return true;
}

// What belongs to this process (handles) stays behind.
void dump(const Descriptor &of, Bytes &to) {
    int32_t count = 0;
    for (const auto &[name, attribute] : of.attributes) count += attribute.type != CUDNN_TYPE_HANDLE;
    write<int32_t>(to, of.type);
    write(to, count);
    for (const auto &[name, attribute] : of.attributes) {
        if (attribute.type == CUDNN_TYPE_HANDLE) continue;
        write<int32_t>(to, name);
        write<int32_t>(to, attribute.type);
        write<int64_t>(to, attribute.count);
        to.insert(to.end(), attribute.bytes.begin(), attribute.bytes.end());
        for (const Shared &child : attribute.children) dump(*child, to);
    }
}

Shared restore(const Bytes &from, size_t &at) {
    auto made = std::make_shared<Descriptor>();
    int32_t type, count;
    if (!read(from, at, type) || !read(from, at, count)) return nullptr;
    made->type = (cudnnBackendDescriptorType_t)type;
    for (int32_t i = 0; i < count; i++) {
        int32_t name, kind;
        int64_t elements;
        if (!read(from, at, name) || !read(from, at, kind) || !read(from, at, elements)) return nullptr;
        const Rule *rule = rule_of(*made, name);
        if (!rule || rule->type != kind || elements < 1 || elements > rule->most) return nullptr;
        Attribute attribute{rule->type, elements, {}, {}};
        if (rule->type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
            for (int64_t k = 0; k < elements; k++) {
                const Shared child = restore(from, at);
                if (!child || (rule->child >= 0 && child->type != rule->child)) return nullptr;
                attribute.children.push_back(child);
            }
        } else {
            const size_t size = (size_t)elements * element_size(rule->type);
            if (from.size() - at < size) return nullptr;
            attribute.bytes.assign(from.begin() + (ptrdiff_t)at, from.begin() + (ptrdiff_t)(at + size));
            at += size;
        }
        made->attributes[name] = attribute;
    }
    made->is_finalized = finalize(*made) == CUDNN_STATUS_SUCCESS;
    return made->is_finalized ? made : nullptr;
}

// The text behind "key": in a flat object, without its quotes. Empty: not there.
std::string member(const std::string &json, const std::string &key) {
    size_t at = json.find('"' + key + '"');
    if (at == std::string::npos) return "";
    at = json.find_first_not_of(" \t\r\n:", at + key.size() + 2);
    if (at == std::string::npos) return "";
    const bool is_text = json[at] == '"';
    const size_t from = at + is_text, end = json.find_first_of(is_text ? "\"" : ",} \t\r\n", from);
    return end == std::string::npos ? "" : json.substr(from, end - from);
}

} // namespace

std::string print_plan(const Descriptor &plan) {
    Bytes bytes;
    dump(*plan.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG), bytes);
    std::string json = "{\"cudnnVersion\":" + std::to_string(cudnnGetVersion()) + ",\"standIn\":\"";
    for (const unsigned char byte : bytes) {
        json += "0123456789abcdef"[byte >> 4];
        json += "0123456789abcdef"[byte & 15];
    }
    return json + "\"}";
}

bool parse_plan(const std::string &json, Descriptor &plan, std::string &why) {
    if (member(json, "cudnnVersion") != std::to_string(cudnnGetVersion())) {
        why = "the plan is of another version of cuDNN: \"" + member(json, "cudnnVersion") + "\"";
        return false;
    }
    const std::string text = member(json, "standIn");
    Bytes bytes;
    for (size_t i = 0; i + 1 < text.size(); i += 2) {
        unsigned value = 0;
        if (sscanf(text.substr(i, 2).c_str(), "%2x", &value) != 1) break;
        bytes.push_back((unsigned char)value);
    }
    size_t at = 0;
    const Shared config = restore(bytes, at);
    if (!config || at != bytes.size() || config->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR) {
        why = "the plan's text is not one of this library";
        return false;
    }
    plan.attributes[CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG] = {CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, {}, {config}};
    return true;
}

} // namespace stand_in
