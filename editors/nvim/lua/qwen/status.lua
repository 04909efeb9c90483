--- What the servers last said of themselves (`qwen/status`).
local M = {}

---@class qwen.Status
---@field state 'ready'|'busy'|'paused'|'warning'|'error'|'off'
---@field reason string
---@field provider string
---@field model string
---@field latency? integer Milliseconds.
---@field until? string When a pause ends by itself, ISO 8601.
---@field command? { title: string, command: string, arguments: string[] } What would help.

---@type table<integer, qwen.Status> By client.
local last = {}

local words = { ready = 'qwen', busy = 'qwen …', paused = 'qwen paused', off = 'qwen off' }

---@param client_id integer
---@param status qwen.Status
function M.heard(client_id, status)
  last[client_id] = status
  vim.schedule(function()
    vim.cmd.redrawstatus({ bang = true })
  end)
end

--- For the statusline of the current buffer.
---@return string
function M.line()
  local client = vim.lsp.get_clients({ name = 'qwen', bufnr = 0 })[1]
  if not client then
    return ''
  end
  local status = last[client.id]
  if not status then
    return words.ready
  end
  return words[status.state] or ('qwen: ' .. status.reason)
end

--- The same at length.
---@param status qwen.Status
---@return string
function M.sentence(status)
  local parts = { status.state }
  if status.reason ~= '' then
    table.insert(parts, status.reason)
  end
  if status.model ~= '' then
    table.insert(parts, ('%s, %s'):format(status.provider, status.model))
  end
  if type(status.latency) == 'number' then
    table.insert(parts, ('first text after %d ms'):format(status.latency))
  end
  return table.concat(parts, '; ')
end

return M
