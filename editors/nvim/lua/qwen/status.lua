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

return M
