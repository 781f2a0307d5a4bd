-- Keeps the cookies that an app's answers set below the app's own address, because all apps share the visitor's origin.
-- RFC 6265 section 5.2: attributes are split at semicolons, their names are any case, and the last of a kind counts.
-- HAProxy 2.6 Lua manual: HTTP.res_get_headers (lists begin at 0), HTTP.res_del_header, HTTP.res_add_header.

local function trimmed(text)
    return text:match("^[ \t]*(.-)[ \t]*$")
end

local function below(prefix, path)
    if path:sub(1, #prefix) == prefix and (#path == #prefix or path:sub(#prefix + 1, #prefix + 1) == "/") then
        return path
    end
    return prefix .. path
end

local function confined(cookie, prefix)
    local pair, rest = cookie:match("^([^;]*)(.*)$")
    local kept, path = { pair }, nil
    for attribute in rest:gmatch(";([^;]*)") do
        local name, value = attribute:match("^([^=]*)=?(.*)$")
        name = trimmed(name):lower()
        if name == "path" then
            path = trimmed(value)
        elseif name ~= "domain" then
            kept[#kept + 1] = attribute
        end
    end
    -- Without a path that begins at the root, the cookie's is the folder of what was asked for: below the app's address.
    if path and path:sub(1, 1) == "/" then
        kept[#kept + 1] = " Path=" .. below(prefix, path)
    end
    return table.concat(kept, ";")
end

core.register_action("confine", { "http-res" }, function(txn)
    -- On a host of its own a preview, or an app, has all paths.
    local whole = txn:get_var("txn.own") or txn:get_var("txn.hosted")
    local prefix = txn:get_var("txn.prefix") or (whole and "")
    local cookies = txn.http:res_get_headers()["set-cookie"]
    txn.http:res_del_header("set-cookie")
    local number = 0
    while prefix and cookies and cookies[number] do
        -- Browsers disagree about control characters within a cookie.
        if not cookies[number]:gsub("\t", " "):find("%c") then
            txn.http:res_add_header("set-cookie", confined(cookies[number], prefix))
        end
        number = number + 1
    end
    txn:set_var("txn.confined", "yes")
end)
