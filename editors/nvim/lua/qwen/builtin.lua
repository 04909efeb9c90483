--- Ghost text by Neovim's own |lsp-inline_completion| (0.12). What that lacks comes from standing between it and the
--- client: asking by hand, taking a part, and hiding at once what no longer fits.
local suggestion = require('qwen.suggestion')
local M = {}

---@class qwen.Offer
---@field client vim.lsp.Client
---@field handler lsp.Handler Neovim's, which shows an answer.
---@field suggestions qwen.Suggestion[] What was last answered.

---@type table<integer, qwen.Offer> By buffer.
local offers = {}
---@type table<integer, boolean> Buffers whose next request is one by hand.
local by_hand = {}
---@type table<integer, boolean> Clients that are stood between, by id.
local tapped = {}

---@param buf integer
---@return qwen.Suggestion[]
local function fitting(buf)
  local here = suggestion.here(buf)
  return vim.tbl_filter(function(each)
    return suggestion.fit(each, here) ~= nil
  end, offers[buf] and offers[buf].suggestions or {})
end

--- Has Neovim show these items instead of what our client has answered.
---@param buf integer
---@param items lsp.InlineCompletionItem[]
local function show(buf, items)
  local offer = offers[buf]
  offer.handler(nil, { items = items }, { method = suggestion.method, client_id = offer.client.id, bufnr = buf })
end

--- Neovim drops a suggestion only when the next answer comes, and would insert it beside what was typed meanwhile.
---@param buf integer
local function hide_misfits(buf)
  if offers[buf] and #offers[buf].suggestions > 0 and #fitting(buf) == 0 then
    offers[buf].suggestions = {}
    show(buf, {})
  end
end

---@param client vim.lsp.Client
local function tap(client)
  local request = client.request
  client.request = function(self, method, params, handler, buf)
    if method ~= suggestion.method or not handler or not buf then
      return request(self, method, params, handler, buf)
    end
    offers[buf] = offers[buf] or { client = self, suggestions = {} }
    offers[buf].handler = handler
    if by_hand[buf] then
      by_hand[buf] = nil
      params.context.triggerKind = vim.lsp.protocol.InlineCompletionTriggerKind.Invoked
    end
    local asked = suggestion.here(buf)
    return request(self, method, params, function(err, result, ctx)
      if result and offers[buf] then
        offers[buf].suggestions = suggestion.read(result, asked, self.offset_encoding)
        result = #fitting(buf) > 0 and result or { items = {} }
      end
      handler(err, result, ctx)
    end, buf)
  end
end

---@param client vim.lsp.Client
---@param buf integer
function M.attach(client, buf)
  if not tapped[client.id] then
    tapped[client.id] = true
    tap(client)
  end
  vim.lsp.inline_completion.enable(true, { client_id = client.id })
  local group = vim.api.nvim_create_augroup('qwen.builtin.' .. buf, {})
  vim.api.nvim_create_autocmd({ 'CursorMovedI', 'TextChangedP' }, {
    group = group,
    buffer = buf,
    callback = function()
      hide_misfits(buf)
    end,
  })
  vim.api.nvim_create_autocmd('LspDetach', {
    group = group,
    buffer = buf,
    callback = function(event)
      if event.data.client_id == client.id then
        offers[buf] = nil
        vim.api.nvim_del_augroup_by_id(group)
      end
    end,
  })
end

---@param unit 'all'|'word'|'line'
---@return boolean
function M.accept(unit)
  local buf = vim.api.nvim_get_current_buf()
  return vim.lsp.inline_completion.get({
    on_accept = function(item)
      local offer = offers[buf]
      if not offer or item.client_id ~= offer.client.id then
        return item
      end
      for _, each in ipairs(fitting(buf)) do
        if each.text == item.insert_text then
          local left = suggestion.take(each, unit, offer.client, buf)
          offer.suggestions = { left }
          if left then
            show(buf, { suggestion.item(left, buf, offer.client.offset_encoding) })
          end
          return nil
        end
      end
    end,
  })
end

---@return integer
function M.count()
  return #fitting(vim.api.nvim_get_current_buf())
end

---@param count integer
function M.select(count)
  vim.lsp.inline_completion.select({ count = count })
end

---@return boolean
function M.dismiss()
  return vim.lsp.inline_completion.get({ on_accept = function() end })
end

---@return boolean
function M.trigger()
  local buf = vim.api.nvim_get_current_buf()
  local offer = offers[buf]
  by_hand[buf] = true -- The next request, which comes after 200 ms at the latest where there was none yet.
  if offer then
    local params = vim.lsp.util.make_position_params(0, offer.client.offset_encoding)
    params.context = {}
    offer.client:request(suggestion.method, params, offer.handler, buf)
  end
  return #vim.lsp.get_clients({ name = 'qwen', bufnr = buf }) > 0
end

return M
